#include "actuators/mounts/in_context.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "actuators/mounts/tree.hpp"
#include "actuators/sys/file.hpp"
#include "context/left_out.hpp"
#include "spec/core/paths.hpp"
#include "spec/core/text.hpp"

namespace nucleus::mounts {

namespace {

std::unexpected<Error> BelowHidden(const std::string& target, const std::string& hidden) {
  return Fail(Error::Of(ErrorCode::kInvalid, "mount at", target,
                        hidden + " of the context is hidden, and this would be with it")
                  .Hint("mount it elsewhere, or let that directory be seen: without a pattern of context_exclude that "
                        "matches it, or by one of context_include (--context-include)"));
}

}  // namespace

Result<std::vector<MountOp>> ContextMasks(const MountsInput& input, const std::vector<std::string>& declared) {
  const spec::Service& service = *input.service;
  std::vector<MountOp> masks;
  if (service.context.empty() || service.context_mode != spec::ContextMode::kBind) return masks;
  const auto filter = TRY(context::ContextFilter::Make(service.context_include, service.context_exclude));
  if (input.may_come) return masks;
  const sys::Fd source = TRY(sys::Open(service.context, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  const auto hidden =
      TRY(context::LeftOutPathsKept(source.get(), filter, input.directories.ContextCache(), input.walk));
  for (const auto& path : hidden) {
    MountOp mask;
    mask.type = MountOp::Type::kMask;
    mask.target = std::string(kContextTarget) + "/" + path;
    const auto holds = [&](const std::string& target) { return IsAtOrBelow(mask.target, target); };
    if (std::ranges::any_of(declared, holds)) continue;
    const auto hides = [&](const std::string& target) { return IsAtOrBelow(target, mask.target); };
    if (const auto below = std::ranges::find_if(declared, hides); below != declared.end())
      return BelowHidden(*below, Printable(mask.target));
    if (!NormalPath(mask.target)) {
      return Fail(Error::Of(ErrorCode::kInvalid, "hide", service.context + "/" + Printable(path),
                            "of the context: a name with control characters cannot be mounted over")
                      .Hint("rename or remove it, exclude the directory it is in, or have the context copied"));
    }
    masks.push_back(std::move(mask));
  }
  return masks;
}

Result<> CheckPointInBound(const spec::Service& service, const std::string& target) {
  const auto filter = TRY(context::ContextFilter::Make(service.context_include, service.context_exclude));
  for (auto end = target.find('/', kContextTarget.size() + 1); end != target.npos; end = target.find('/', end + 1)) {
    const std::string above = target.substr(0, end);
    if (filter.LeftOut(std::string_view(above).substr(kContextTarget.size() + 1), true))
      return BelowHidden(target, above);
  }
  return {};
}

Result<> CheckPointInCopy(const spec::Service& service, const std::string& target, bool file) {
  const auto filter = TRY(context::ContextFilter::Make(service.context_include, service.context_exclude));
  for (std::size_t end = kContextTarget.size(); end != target.npos;) {
    end = target.find('/', end + 1);
    const std::string below = target.substr(kContextTarget.size(), end - kContextTarget.size());
    const std::string path = service.context + below;
    struct stat st{};
    if (::lstat(path.c_str(), &st) != 0) return {};
    if (filter.LeftOut(std::string_view(below).substr(1), S_ISDIR(st.st_mode))) return {};
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) return {};  // some of these are not copied
    const bool is_file = file && end == target.npos;
    if (S_ISREG(st.st_mode) == is_file) continue;
    return Fail(
        Error::Of(ErrorCode::kInvalid, "mount at", target, path + (is_file ? " is no file" : " is no directory"))
            .Hint("mount it elsewhere, or leave that out of the context: context_exclude"));
  }
  return {};
}

}  // namespace nucleus::mounts
