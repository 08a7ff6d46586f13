// What a container is compiled from besides its service: who the workload is, which ids there are, and what the list of
// its mounts is made of. For whoever starts it, and for whoever asks before whether that would work. Reads only. The
// trail of an error begins with the key that it is about.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "actuators/mounts/compile.hpp"
#include "actuators/security/identity.hpp"
#include "actuators/security/user_map.hpp"
#include "spec/core/names.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::cli {

struct Workload {
  security::OwnIds own;
  security::Account account;
};
// own: the ids that there are where it starts.
Result<Workload> WorkloadOf(const spec::Service& service, const security::OwnIds& own);

// Those that an apply of the caller has: an ordinary user's is in a user namespace, which may not be there yet.
Result<security::OwnIds> IdsAtApply();

// The user namespace it has, and what follows for its mounts from that or from the one that we are in.
struct Users {
  UserNamespace space;
  bool nested = false;
  bool has_terminal_group = true;
};
// range: as security::MapUsers().
Result<Users> UsersOf(const spec::Service& service, const Workload& workload, const std::optional<sys::IdSpan>& range);

// Without what was staged, and without credentials.
Result<mounts::MountsInput> MountsInputOf(const ProcessWanted& wanted, const Workload& workload, const Users& users,
                                          const Directories& directories);

// By name, where they are: systemd.exec(5), "Credentials": files of the unit that calls us.
Result<std::map<std::string, std::string>> CredentialsOf(const spec::Service& service);

}  // namespace nucleus::cli
