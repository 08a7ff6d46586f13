#include "actuators/security/identity.hpp"

#include <algorithm>

#include "actuators/sys/accounts.hpp"

namespace nucleus::security {

namespace {

// The image says who a name is. Of root only root's own name says so.
Error RootInDisguise(std::string_view what, const std::string& name, std::string_view file, const std::string& where) {
  return Error::Invalid(std::string(what) + " '" + name + "'",
                        "it is number 0, root's, in " + std::string(file) + " of " + where)
      .Hint("write \"0\" or \"root\" if that is meant");
}

Result<std::uint32_t> ResolveGroup(const std::string& text, const sys::Accounts& accounts, const std::string& where) {
  if (const auto number = TRY(sys::ParseId(text))) return *number;
  if (const auto* group = sys::FindGroup(accounts.groups, text)) {
    if (group->gid == 0 && text != "root") return Fail(RootInDisguise("group", text, "/etc/group", where));
    return group->gid;
  }
  return Fail(Error::Of(ErrorCode::kNotFound, "look up group", text, "it is not in /etc/group of " + where)
                  .Hint("a group can be given by its number too"));
}

// The user's entry; one is made up for a number that has none. A number's group is the same number, whatever the image
// says: who writes numbers does not leave them to it.
Result<sys::UserEntry> ResolveUser(const std::string& text, const sys::Accounts& accounts, const std::string& where) {
  const auto number = TRY(sys::ParseId(text.empty() ? "0" : text));
  const sys::UserEntry* user = number ? sys::FindUser(accounts.users, *number) : sys::FindUser(accounts.users, text);
  if (user != nullptr && !number && user->uid == 0 && text != "root") {
    return Fail(RootInDisguise("user", text, "/etc/passwd", where));
  }
  if (user != nullptr) {
    sys::UserEntry entry = *user;
    if (number) entry.gid = *number;
    return entry;
  }
  if (!number) {
    return Fail(Error::Of(ErrorCode::kNotFound, "look up user", text, "it is not in /etc/passwd of " + where)
                    .Hint("a user can be given by its number too"));
  }
  if (*number == 0) return sys::UserEntry{"root", 0, 0, "/root", ""};
  return sys::UserEntry{std::to_string(*number), *number, *number, "/", ""};
}

Result<Account> Resolve(const spec::Owner& owner, const std::vector<std::string>& groups, const std::string& root,
                        const std::string& where) {
  const sys::Accounts accounts = TRY(sys::ReadAccounts(root));
  const sys::UserEntry user = TRY_IN("user", ResolveUser(owner.user, accounts, where));
  Account account{{user.uid, user.gid, {}}, user.name, user.home, user.shell, {}};
  if (!owner.group.empty()) {
    account.identity.gid = TRY_IN("group", ResolveGroup(owner.group, accounts, where));
  } else if (user.uid != 0 && user.gid == 0) {
    return Fail(Error::Invalid("user '" + owner.user + "'", "its group in /etc/passwd of " + where + " is 0, root's")
                    .In("user")
                    .Hint("set group = \"0\" if that is meant"));
  }
  for (const std::string& group : groups) {
    account.identity.groups.push_back(TRY_IN("additional_groups", ResolveGroup(group, accounts, where)));
  }
  std::ranges::sort(account.identity.groups);
  const auto twice = std::ranges::unique(account.identity.groups);
  account.identity.groups.erase(twice.begin(), twice.end());

  std::vector<std::uint32_t> all = account.identity.groups;
  all.insert(all.begin(), account.identity.gid);
  for (const std::uint32_t gid : all) {
    if (const auto* group = sys::FindGroup(accounts.groups, gid)) account.group_names.emplace_back(gid, group->name);
  }
  return account;
}

}  // namespace

Result<Account> ResolveAccount(const spec::Service& service) {
  const std::string root = service.rootfs.empty() ? "/" : service.rootfs;
  return TRY_IN("service." + service.name + "/identity", Resolve(service.user, service.additional_groups, root,
                                                                 service.rootfs.empty() ? "the host" : service.rootfs));
}

Result<Account> ResolveAccountIn(const spec::Owner& owner, const std::string& root, const std::string& where) {
  return Resolve(owner, {}, root, where);
}

Result<Identity> ResolveIdentity(const spec::Service& service) {
  return TRY(ResolveAccount(service)).identity;
}

std::map<std::string, std::string> AccountEnvironment(const Account& account) {
  return {{"HOME", account.home}, {"USER", account.name}, {"LOGNAME", account.name}};
}

}  // namespace nucleus::security
