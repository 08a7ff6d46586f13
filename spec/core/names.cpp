#include "spec/core/names.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "spec/core/hash.hpp"
#include "spec/core/link_names.hpp"

namespace nucleus {

namespace {

constexpr std::size_t kShortHashDigits = 10;
constexpr std::string_view kBridgePrefix = "nb", kVethPrefix = "nv";

bool IsShortName(std::string_view link, std::string_view prefix) {
  return link.size() == prefix.size() + kShortHashDigits && link.starts_with(prefix) &&
         link.find_first_not_of("0123456789abcdef", prefix.size()) == std::string_view::npos;
}

// An environment variable; an empty one counts as not set, as the XDG base directory specification has it.
std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// Absolute, without "." and "..", without a slash at the end. Links are left as they are: nothing need exist yet.
Result<std::string> Absolute(std::string_view path) {
  std::error_code code;
  auto absolute = std::filesystem::absolute(std::filesystem::path(path), code);
  if (code) return Fail(Error::Sys("resolve", path, code.value()));
  std::string text = absolute.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

Result<std::string> UserState() {
  // A relative XDG path is to be passed over, by the specification.
  if (const auto state = Variable("XDG_STATE_HOME"); state.starts_with('/')) return std::string(state) + "/nucleus";
  if (const auto home = Variable("HOME"); home.starts_with('/')) return std::string(home) + "/.local/state/nucleus";
  return Fail(Error::Of(ErrorCode::kNotFound, "find", "state directory", "neither XDG_STATE_HOME nor HOME is set")
                  .Hint("set NUCLEUS_STATE_DIR, or give --state-dir"));
}

// "": it is a directory of the caller's own, which nobody else may look into.
std::string WhyNotOwn(const std::string& path) {
  struct stat st{};
  if (lstat(path.c_str(), &st) != 0) return "it is not there, and cannot be made";
  if (S_ISLNK(st.st_mode)) return "it is a symbolic link";
  if (!S_ISDIR(st.st_mode)) return "it is no directory";
  if (st.st_uid != geteuid()) return "it belongs to user " + std::to_string(st.st_uid);
  return (st.st_mode & 0777) == 0700 ? "" : "its mode is not 0700";
}

std::string BelowRun() {
  return "/run/user/" + std::to_string(geteuid());
}
std::string BelowTmp() {
  return "/tmp/nucleus-" + std::to_string(geteuid());
}

// In a directory that anybody may write to somebody may have been first; where it is sticky, who has one there keeps
// it.
bool TmpKeeps() {
  struct stat tmp{};
  return stat("/tmp", &tmp) == 0 && tmp.st_uid == 0 &&
         ((tmp.st_mode & S_ISVTX) != 0 || (tmp.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

// For su(1), cron(8) and the like, whom nobody makes one.
Result<std::string> OwnBelowTmp() {
  const std::string own = BelowTmp();
  const bool keeps = TmpKeeps();
  if (keeps) mkdir(own.c_str(), 0700);
  const std::string why = keeps ? WhyNotOwn(own) : "others may write in /tmp, which is not sticky";
  if (why.empty()) return own;
  return Fail(Error::Of(ErrorCode::kPermission, "use", own, why)
                  .Hint("XDG_RUNTIME_DIR is not set: set it or NUCLEUS_RUNTIME_DIR, or give --runtime-dir; `loginctl "
                        "enable-linger` has systemd make one, " +
                        BelowRun()));
}

// Something was started from there that has not been taken away.
bool HasProjects(const std::string& runtime) {
  std::error_code code;
  return std::filesystem::directory_iterator(runtime + "/projects", code) != std::filesystem::directory_iterator();
}

// Where a user's projects are already, in the usual order: a login has a directory that cron(8) has not, and either
// would start beside the other's what runs there. "": nowhere.
std::string WhereProjectsAre(std::string_view given) {
  std::vector<std::string> places;
  if (!given.empty()) places.push_back(std::string(given) + "/nucleus");
  if (WhyNotOwn(BelowRun()).empty()) places.push_back(BelowRun() + "/nucleus");
  if (TmpKeeps() && WhyNotOwn(BelowTmp()).empty()) places.push_back(BelowTmp());
  if (places.size() < 2) return "";
  const auto found = std::ranges::find_if(places, HasProjects);
  return found == places.end() ? "" : *found;
}

Result<std::string> UserRuntime() {
  const std::string_view named = Variable("XDG_RUNTIME_DIR");
  const std::string_view given = named.starts_with('/') ? named : "";
  if (auto there = WhereProjectsAre(given); !there.empty()) return there;
  if (!given.empty()) return std::string(given) + "/nucleus";
  if (WhyNotOwn(BelowRun()).empty()) return BelowRun() + "/nucleus";
  if (named.empty()) return OwnBelowTmp();
  return Fail(Error::Of(ErrorCode::kNotFound, "find", "runtime directory", "XDG_RUNTIME_DIR is no absolute path")
                  .Hint("set it or NUCLEUS_RUNTIME_DIR to one, or give --runtime-dir"));
}

}  // namespace

Result<Directories> Directories::Resolve(std::string_view state_flag, std::string_view runtime_flag) {
  const bool root = geteuid() == 0;
  std::string state(state_flag.empty() ? Variable("NUCLEUS_STATE_DIR") : state_flag);
  std::string runtime(runtime_flag.empty() ? Variable("NUCLEUS_RUNTIME_DIR") : runtime_flag);
  if (state.empty()) state = root ? std::string("/var/lib/nucleus") : TRY(UserState());
  if (runtime.empty()) runtime = root ? std::string(kRootsRuntime) : TRY(UserRuntime());
  runtime = TRY(Absolute(runtime));
  std::error_code code;
  const auto real = std::filesystem::weakly_canonical(runtime, code);
  return Directories{TRY(Absolute(state)), code ? runtime : real.string()};
}

std::string Directories::ProjectLock(std::string_view project) const {
  return runtime + "/locks/" + std::string(project) + ".lock";
}

std::string Directories::ProjectDir(std::string_view project) const {
  return runtime + "/projects/" + std::string(project);
}

std::string Directories::VolumeMount(std::string_view project, std::string_view volume) const {
  return ProjectDir(project) + "/volume." + std::string(volume);
}

std::string Directories::ServiceDir(std::string_view project, const Address& service) const {
  return ProjectDir(project) + "/" + service.Text();
}

// Not in the service's directory: that can be removed while the mount is still there.
std::string Directories::NetnsPin(std::string_view project, const Address& service) const {
  return runtime + "/netns/" + std::string(project) + "/" + service.Text();
}

std::string Directories::OwnerTag(std::string_view project, const Address& service) const {
  return std::string(project) + "/" + service.Text() + (runtime == kRootsRuntime ? "" : " " + runtime);
}

std::string ShortHash(std::string_view project, std::string_view text) {
  return Sha256().AddField(project).AddField(text).Finish().Hex().substr(0, kShortHashDigits);
}

std::string BridgeLink(std::string_view project, std::string_view network) {
  return std::string(kBridgePrefix) + ShortHash(project, "network." + std::string(network));
}

std::string VethLink(std::string_view project, const Address& service, std::string_view network) {
  return std::string(kVethPrefix) + ShortHash(project, service.Text() + "/" + std::string(network));
}

bool IsBridgeLink(std::string_view link) {
  return IsShortName(link, kBridgePrefix);
}

bool IsVethLink(std::string_view link) {
  return IsShortName(link, kVethPrefix);
}

std::string LinkAlias(std::string_view project, const Address& address) {
  return "nucleus:" + std::string(project) + "/" + address.Text();
}

std::string FirewallTable(std::string_view project) {
  return "nucleus_" + ShortHash(project, "topology");
}

std::string FirewallComment(std::string_view project) {
  return "nucleus:" + std::string(project);
}

std::string TableProject(std::string_view project, std::string_view network) {
  std::string name(project);
  if (project == kContainersProject) (name += '/') += network;
  return name;
}

std::string CgroupPath(std::string_view project, const Address& service) {
  return "nucleus/" + std::string(project) + "/" + service.Text();
}

// A container that nobody gave a name is called by these digits of its id already.
std::string UnitDigits(std::string_view project) {
  constexpr std::size_t kDigits = 12;
  if (project.size() == kDigits && project.find_first_not_of("0123456789abcdef") == std::string_view::npos)
    return std::string(project);
  return Sha256().AddField("unit").AddField(project).Finish().Hex().substr(0, kDigits);
}

std::string UnitName(std::string_view project) {
  return "nucleus-" + UnitDigits(project) + ".service";
}

}  // namespace nucleus
