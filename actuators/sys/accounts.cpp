#include "actuators/sys/accounts.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::sys {

namespace {

constexpr std::uint32_t kMaxId = 0x7fffffffU;

std::optional<std::uint32_t> Number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > kMaxId) return std::nullopt;
  return value;
}

// Names end up in environments and messages: nothing but what useradd(8) would accept, and some more.
bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 256 && name[0] != '-' && name[0] != '+' &&
         std::ranges::all_of(name, [](unsigned char c) { return c > ' ' && c != 0x7f && c != '=' && c != '/'; });
}

bool IsPath(std::string_view path) {
  return path.starts_with('/') && path.size() < 4096 &&
         std::ranges::all_of(path, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

// Cuts lines into at most N fields at ':'; calls `use` for lines that have exactly N.
template <std::size_t N, class Use>
void ForEachLine(std::string_view text, Use use) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::array<std::string_view, N> fields;
    std::size_t count = 0;
    for (bool more = true; more && count <= N; ++count) {
      const std::size_t colon = line.find(':');
      more = colon != std::string_view::npos;
      if (count < N) fields[count] = line.substr(0, colon);
      if (more) line.remove_prefix(colon + 1);
    }
    if (count == N) use(fields);
  }
}

template <class Entries, class Predicate>
auto Find(const Entries& entries, Predicate predicate) -> const typename Entries::value_type* {
  const auto found = std::ranges::find_if(entries, predicate);
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

std::vector<UserEntry> ParsePasswd(std::string_view text) {
  std::vector<UserEntry> users;
  ForEachLine<7>(text, [&users](const auto& fields) {
    const auto uid = Number(fields[2]);
    const auto gid = Number(fields[3]);
    if (!IsName(fields[0]) || !uid || !gid) return;
    users.push_back({std::string(fields[0]), *uid, *gid, IsPath(fields[5]) ? std::string(fields[5]) : "/",
                     IsPath(fields[6]) ? std::string(fields[6]) : ""});
  });
  return users;
}

std::vector<GroupEntry> ParseGroup(std::string_view text) {
  std::vector<GroupEntry> groups;
  ForEachLine<4>(text, [&groups](const auto& fields) {
    const auto gid = Number(fields[2]);
    if (IsName(fields[0]) && gid) groups.push_back({std::string(fields[0]), *gid});
  });
  return groups;
}

const UserEntry* FindUser(const std::vector<UserEntry>& users, std::string_view name) {
  return Find(users, [name](const UserEntry& user) { return user.name == name; });
}
const UserEntry* FindUser(const std::vector<UserEntry>& users, std::uint32_t uid) {
  return Find(users, [uid](const UserEntry& user) { return user.uid == uid; });
}
const GroupEntry* FindGroup(const std::vector<GroupEntry>& groups, std::string_view name) {
  return Find(groups, [name](const GroupEntry& group) { return group.name == name; });
}
const GroupEntry* FindGroup(const std::vector<GroupEntry>& groups, std::uint32_t gid) {
  return Find(groups, [gid](const GroupEntry& group) { return group.gid == gid; });
}

Result<std::optional<std::string>> ReadFileInRoot(const std::string& root, const std::string& path, std::size_t limit) {
  const std::string shown = root + (path.starts_with('/') ? "" : "/") + path;
  const Fd top = TRY(Open(root, O_PATH | O_DIRECTORY));
  // Looked at first and opened only then: opening a device can already do something.
  const Fd found(OpenAt2(top.get(), path.c_str(), O_PATH, kInRoot));
  if (!found) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
    return FailSys("open", shown);
  }
  struct stat st{};
  if (::fstat(found.get(), &st) != 0) return FailSys("stat", shown);
  if (!S_ISREG(st.st_mode)) return Fail(ErrorCode::kInvalid, "read", shown, "not a regular file");
  auto file = Open("/proc/self/fd/" + std::to_string(found.get()), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) {
    file.error().subject = shown;
    return Fail(std::move(file).error());
  }
  return TRY(ReadAll(file->get(), shown, limit));
}

Result<Accounts> ReadAccounts(const std::string& root) {
  Accounts accounts;
  if (const auto text = TRY(ReadFileInRoot(root, "etc/passwd"))) accounts.users = ParsePasswd(*text);
  if (const auto text = TRY(ReadFileInRoot(root, "etc/group"))) accounts.groups = ParseGroup(*text);
  return accounts;
}

Result<std::optional<std::uint32_t>> ParseId(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool sign = text.size() > 1 && (text[0] == '-' || text[0] == '+') && digit(text[1]);
  if (!sign && (text.empty() || !std::ranges::all_of(text, digit))) return std::nullopt;
  if (const auto value = sign ? std::nullopt : Number(text)) return value;
  return Fail(Error::Invalid("id '" + std::string(text) + "'", "not a number of 0 to 2147483647"));
}

}  // namespace nucleus::sys
