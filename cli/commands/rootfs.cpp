// rootfs seal, rootfs verify.
#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "actuators/sys/file.hpp"
#include "attest/seal.hpp"
#include "attest/verify.hpp"
#include "cli/commands/commands.hpp"
#include "cli/signals.hpp"
#include "cli/walk_progress.hpp"

namespace nucleus::cli {

namespace {

std::string VerdictJson(const std::string& root, const attest::Verdict& verdict) {
  using Json = nlohmann::ordered_json;
  Json json{{"format_version", 1},
            {"type", "rootfs_verification"},
            {"rootfs", root},
            {"verified", !verdict.difference},
            {"manifest_format", verdict.format == attest::Format::kExtended ? "extended" : "plain"},
            {"manifest", "sha256:" + verdict.manifest.Hex()},
            {"files", verdict.files},
            {"bytes", verdict.bytes},
            {"difference", nullptr}};
  if (verdict.difference) {
    json["difference"] = {{"kind", attest::DifferenceWord(verdict.difference->kind)},
                          {"path", verdict.difference->path.empty() ? "." : verdict.difference->path},
                          {"detail", verdict.difference->detail}};
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Counted(std::uint64_t files, std::uint64_t bytes) {
  return std::to_string(files) + (files == 1 ? " file, " : " files, ") + std::to_string(bytes) + " bytes";
}

}  // namespace

Result<int> RunRootfsSeal(Context& context) {
  const std::string root = context.arguments.Operand(0);
  const auto format = context.arguments.Has("plain") ? attest::Format::kPlain : attest::Format::kExtended;
  const sys::Fd directory = TRY(sys::Open(root, O_PATH | O_DIRECTORY));
  CatchSignals();
  const auto sealed = [&] {
    WalkProgress progress(context.console, "sealing");
    return attest::Seal(directory.get(), root, format, {.stop = &Interrupted(), .progress = progress.counters()});
  }();
  if (!sealed) return Fail(sealed.error());
  context.console.Out(root + ": sealed, " + Counted(sealed->files, sealed->bytes) +
                      ", manifest sha256:" + sealed->manifest.Hex() + "\n");
  return exit_code::kDone;
}

Result<int> RunRootfsVerify(Context& context) {
  const std::string root = context.arguments.Operand(0);
  const sys::Fd directory = TRY(sys::Open(root, O_PATH | O_DIRECTORY));
  CatchSignals();
  const auto verdict = [&] {
    WalkProgress progress(context.console, "verifying");
    return attest::Verify(directory.get(), root, {.stop = &Interrupted(), .progress = progress.counters()});
  }();
  if (!verdict) return Fail(verdict.error());
  if (context.arguments.Value("output") == "json") {
    context.console.Out(VerdictJson(root, *verdict));
    return verdict->difference ? exit_code::kError : exit_code::kDone;
  }
  if (verdict->difference) return Fail(attest::AsError(*verdict->difference, root));
  context.console.Out(root + ": as sealed, " + Counted(verdict->files, verdict->bytes) +
                      ", manifest sha256:" + verdict->manifest.Hex() + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
