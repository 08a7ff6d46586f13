// Files, directories and symbolic links from one process to another that sees a different part of the machine: one
// names and opens them, the other writes them down. Both ends are directories held open; neither trusts what is in
// them. Nothing is followed: not a link, and not the name of anything that has become something else meanwhile. File
// systems of the kernel's (proc, sysfs, cgroup2, devpts) are neither read nor written.
//
// Errors name the path from the top; kConflict where the other side gave up first, which knows why. A socket is one end
// of a pair of SOCK_SEQPACKET.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "spec/core/error.hpp"

namespace nucleus::process {

struct TransferReport {
  std::uint64_t files = 0, directories = 0, links = 0, bytes = 0;
  std::uint64_t special = 0;  // left out: FIFOs, sockets, devices, what is of the kernel's
};

// `name` in `directory`, and what is below. A file is as long as it was when it was opened.
Result<TransferReport> Send(int directory, const std::string& name, int socket);

// As `name` in `directory`, owned by those ids: with permissions, but for set-user-ID and set-group-ID, and times. A
// file takes the place of one that has its name, as a whole; a directory that is there is added to and stays what it
// was, and a link in it gives way. Nothing else is replaced: kInvalid. How much the other side has left out.
Result<std::uint64_t> Receive(int directory, const std::string& name, uid_t uid, gid_t gid, int socket);

}  // namespace nucleus::process
