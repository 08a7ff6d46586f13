#include "actuators/netns/nft.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <dlfcn.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <nftables/libnftables.h>

#include <array>
#include <csignal>
#include <cstring>
#include <mutex>

#include "actuators/netns/netlink.hpp"

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

Error Missing(std::string_view why) {
  return Error::Of(ErrorCode::kUnsupported, "load", kLibrary, why).Hint("apt install libnftables1");
}

template <class Function>
bool Resolve(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<Functions> Load() {
  // RTLD_NODELETE: it stays until the process ends, so the handle need not be kept.
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return Fail(Missing(why == nullptr ? "not found" : why));
  }
  Functions f;
  const bool complete = Resolve(library, "nft_ctx_new", f.create) && Resolve(library, "nft_ctx_free", f.destroy) &&
                        Resolve(library, "nft_ctx_output_set_flags", f.set_flags) &&
                        Resolve(library, "nft_ctx_buffer_output", f.buffer_output) &&
                        Resolve(library, "nft_ctx_get_output_buffer", f.output) &&
                        Resolve(library, "nft_ctx_buffer_error", f.buffer_error) &&
                        Resolve(library, "nft_ctx_get_error_buffer", f.error) &&
                        Resolve(library, "nft_run_cmd_from_buffer", f.run);
  ::dlclose(library);
  if (!complete) return Fail(Missing("too old: a function is missing"));
  return f;
}

// Its messages have several lines, with the place of the error marked below; the first line says what is wrong.
std::string FirstLine(const char* text) {
  if (text == nullptr) return "unknown error";
  const std::string_view all(text);
  return std::string(all.substr(0, all.find('\n')));
}

ErrorCode CodeOf(std::string_view message) {
  if (message.find("Operation not permitted") != std::string_view::npos) return ErrorCode::kPermission;
  if (message.find("No such file or directory") != std::string_view::npos) return ErrorCode::kNotFound;
  return ErrorCode::kSystem;
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

Result<std::string> Run(const std::string& commands, unsigned flags, std::string_view operation,
                        std::string_view subject) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const SignalsHeld held;
  const Functions nft = TRY(Load());
  const std::unique_ptr<nft_ctx, decltype(nft.destroy)> context(nft.create(NFT_CTX_DEFAULT), nft.destroy);
  if (!context) return Fail(ErrorCode::kSystem, "open", "nftables", "libnftables made no context");
  nft.set_flags(context.get(), flags);
  nft.buffer_output(context.get());
  nft.buffer_error(context.get());
  if (nft.run(context.get(), commands.c_str()) != 0) {
    const std::string message = FirstLine(nft.error(context.get()));
    return Fail(CodeOf(message), operation, subject, message);
  }
  const char* output = nft.output(context.get());
  return std::string(output == nullptr ? "" : output);
}

std::string Text(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* data = static_cast<const char*>(nla_data(attribute));
  return std::string(data, strnlen(data, static_cast<std::size_t>(nla_len(attribute))));
}

// User data is a list of {type, length, value}; type 0 is the comment: NFTNL_UDATA_TABLE_COMMENT of libnftnl.
std::string CommentIn(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  std::string_view data(static_cast<const char*>(nla_data(attribute)), static_cast<std::size_t>(nla_len(attribute)));
  while (data.size() >= 2) {
    const auto type = static_cast<unsigned char>(data[0]);
    const std::size_t size = static_cast<unsigned char>(data[1]);
    if (data.size() - 2 < size) break;
    const auto value = data.substr(2, size);
    if (type == 0) return std::string(value.substr(0, value.find('\0')));
    data.remove_prefix(2 + size);
  }
  return {};
}

}  // namespace

Result<std::vector<TableInfo>> DumpTables() {
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  Message message((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE, 0);
  nfgenmsg header{};
  header.nfgen_family = NFPROTO_INET;
  header.version = NFNETLINK_V0;
  message.Header(header);
  std::vector<TableInfo> tables;
  TRY(netlink.Dump(
      message, "list nftables tables", [&] { tables.clear(); },
      [&](nlmsghdr* answer) {
        std::array<nlattr*, NFTA_TABLE_MAX + 1> attributes{};
        if (nlmsg_parse(answer, sizeof(nfgenmsg), attributes.data(), NFTA_TABLE_MAX, nullptr) < 0) return;
        tables.push_back({Text(attributes[NFTA_TABLE_NAME]), CommentIn(attributes[NFTA_TABLE_USERDATA])});
      }));
  return tables;
}

Result<> RunNft(const std::string& commands, std::string_view operation, std::string_view subject) {
  TRY(Run(commands, 0, operation, subject));
  return {};
}

Result<std::string> ListTableJson(std::string_view table) {
  return Run("list table inet " + std::string(table), NFT_CTX_OUTPUT_JSON, "list table", table);
}

}  // namespace nucleus::netns
