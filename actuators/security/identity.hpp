// Who the workload is: `user`, `group` and `additional_groups` of a service as numbers.
//
// Names are looked up in the container's own passwd and group files (of the rootfs; of the host where there is none),
// read as text and never through NSS. The supplementary groups are exactly the declared ones (CVE-2022-36109).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "spec/types.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::security {

struct Account {
  Identity identity;
  std::string name;                                                // of the user; its number where it has no name
  std::string home;                                                // "/" where none is known
  std::string shell;                                               // "" where none is known
  std::vector<std::pair<std::uint32_t, std::string>> group_names;  // those of the identity's groups that have a name
};

// The trail of an error begins with the key that it is about.
//
// Not given: root. A user by number without an entry has the group of the same number, so that no user but root ever
// ends in group 0 without being told to (CVE-2024-40635).
Result<Account> ResolveAccount(const spec::Service& service);
Result<Identity> ResolveIdentity(const spec::Service& service);
// By the files of the tree at `root`, which errors call `where`. Without supplementary groups.
Result<Account> ResolveAccountIn(const spec::Owner& owner, const std::string& root, const std::string& where);

// HOME, USER and LOGNAME; what the service's environment says comes first.
std::map<std::string, std::string> AccountEnvironment(const Account& account);

}  // namespace nucleus::security
