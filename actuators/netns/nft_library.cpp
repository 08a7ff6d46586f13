#include "actuators/netns/nft_library.hpp"

#include <nftables/libnftables.h>

#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "actuators/sys/load_library.hpp"

namespace nucleus::netns {

namespace {

constexpr const char* kLibrary = "libnftables.so.1";

struct Functions {
  decltype(&nft_ctx_new) create = nullptr;
  decltype(&nft_ctx_free) destroy = nullptr;
  decltype(&nft_ctx_output_set_flags) set_flags = nullptr;
  decltype(&nft_ctx_buffer_output) buffer_output = nullptr;
  decltype(&nft_ctx_get_output_buffer) output = nullptr;
  decltype(&nft_ctx_buffer_error) buffer_error = nullptr;
  decltype(&nft_ctx_get_error_buffer) error = nullptr;
  decltype(&nft_run_cmd_from_buffer) run = nullptr;
};

// None: why says what is missing.
std::optional<Functions> Load(std::string& why) {
  void* library = sys::LoadLibrary(kLibrary, why);
  if (library == nullptr) return std::nullopt;
  Functions f;
  using sys::Resolve;
  const bool complete = Resolve(library, "nft_ctx_new", f.create) && Resolve(library, "nft_ctx_free", f.destroy) &&
                        Resolve(library, "nft_ctx_output_set_flags", f.set_flags) &&
                        Resolve(library, "nft_ctx_buffer_output", f.buffer_output) &&
                        Resolve(library, "nft_ctx_get_output_buffer", f.output) &&
                        Resolve(library, "nft_ctx_buffer_error", f.buffer_error) &&
                        Resolve(library, "nft_ctx_get_error_buffer", f.error) &&
                        Resolve(library, "nft_run_cmd_from_buffer", f.run);
  if (complete) return f;
  why = "too old: a function is missing";
  return std::nullopt;
}

// Its messages have several lines, with the place of the error marked below; the first line says what is wrong.
std::string FirstLine(const char* text) {
  if (text == nullptr) return "unknown error";
  const std::string_view all(text);
  return std::string(all.substr(0, all.find('\n')));
}

// libnftables takes an interrupted recvmsg(2) for a broken kernel and ends the process. So no signal comes to the
// thread that it works on.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsHeld() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

Result<NftAnswer> AskNft(const std::string& commands, bool json) {
  // It keeps state of its own per process.
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const SignalsHeld held;
  std::string why;
  const auto nft = Load(why);
  if (!nft) return NftAnswer{NftAnswer::Outcome::kMissing, why};
  const std::unique_ptr<nft_ctx, decltype(nft->destroy)> context(nft->create(NFT_CTX_DEFAULT), nft->destroy);
  if (!context) return Fail(ErrorCode::kSystem, "open", "nftables", "libnftables made no context");
  nft->set_flags(context.get(), json ? NFT_CTX_OUTPUT_JSON : 0);
  nft->buffer_output(context.get());
  nft->buffer_error(context.get());
  if (nft->run(context.get(), commands.c_str()) != 0)
    return NftAnswer{NftAnswer::Outcome::kRefused, FirstLine(nft->error(context.get()))};
  const char* output = nft->output(context.get());
  return NftAnswer{NftAnswer::Outcome::kDone, output == nullptr ? "" : output};
}

}  // namespace nucleus::netns
