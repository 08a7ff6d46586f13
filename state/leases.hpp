// Leases: addresses, subnets and published ports, as rows of applied.db. Called inside a transaction of the caller's.
#pragma once

#include "state/sqlite.hpp"
#include "state/store.hpp"

namespace nucleus::state {

Result<> LoadProjectLeases(Database& db, ProjectRow& project);
Result<HostLeases> LoadHostLeases(Database& db);

// kConflict where another project has an overlapping subnet or the same published port, or two services of this one
// would share an address. Leases of resources that were never applied and are not asked for any more are given back.
Result<> TakeLeases(Database& db, const Store::NewRevision& revision);

// The project's published ports are these, and no others.
Result<> SettlePorts(Database& db, std::string_view project, const Store::Ports& ports);

Result<> GiveBackLeases(Database& db, std::string_view project, const Address& address);

}  // namespace nucleus::state
