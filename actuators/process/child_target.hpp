// Where in the new root an operation's target is. Private to the interpreter: no allocation.
//
// In file systems that we made, nobody else can move anything while the root is built: there a directory that was found
// is kept for the operations that follow, and its entries are used by name. Elsewhere a target is looked up once, and
// used by descriptor: a component that is swapped meanwhile changes nothing.
#pragma once

#include "actuators/process/child_data.hpp"

namespace nucleus::process {

// Whoever compiled the launch has resolved the links of the image: one that is on the way to a target now was put there
// since, and is not followed (CVE-2019-19921, CVE-2021-30465).
int OpenTarget(const Child& child, const char* target, std::uint64_t flags);

// The directory above a target, and its last component. The descriptor is valid until the next call.
struct Spot {
  int parent = -1;
  const char* name = nullptr;
  bool ours = false;    // in a file system that we made
  bool setgid = false;  // what is made there gets the directory's group
};
// Missing directories are made where the file system is ours. False: errno says why.
bool FindSpot(Child& child, const MountOp& op, Spot& spot);

// The root under construction begins anew: its identity has been learned.
void SetBase(Child& child, const sys::MountIdentity& identity);
bool IsOurs(const Child& child, const sys::MountIdentity& identity);
void AddOwn(Child& child, const sys::MountIdentity& identity);

// Puts a mount on the target. A missing one is made, as a directory or an empty file, where the file system is ours.
// False: failure says why.
bool PlaceAt(Child& child, int index, int mount, bool directory);
// Something was mounted at the target: what lies below is another directory from here on.
void ForgetBelow(Child& child, const char* target);

}  // namespace nucleus::process
