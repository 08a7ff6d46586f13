// The directory of a checkpoint: CRIU's images, "checkpoint.json", which says what they are of and has a digest of each
// of them, and "checkpoint.mac", an HMAC of that with a key of this machine. So what is restored is what was written
// here, or nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/hash.hpp"
#include "spec/core/names.hpp"
#include "spec/types.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::cli {

struct Checkpoint {
  spec::Topology topology;  // of the container alone
  std::string id;
  RestoreOrder order;                   // without the place of the images
  std::map<std::string, Digest> files;  // by name
};

struct CheckpointDirectory {
  sys::Fd fd;
  bool made = false;  // by us
};
// A new directory, or one that is there and empty but for the log of a checkpoint that failed; 0700, root's. kExists,
// kPermission.
Result<CheckpointDirectory> MakeCheckpointDirectory(const std::string& path);
// Of one that failed: all goes, but CRIU's log where that may say why (with_log: false), and the directory where that
// leaves nothing of what we made.
void DiscardCheckpoint(const CheckpointDirectory& directory, const std::string& path, bool with_log);
// Signs what is in the directory, to the disk. directory: as made above. kCorrupt: it has no inventory of images;
// kInterrupted: somebody asked for an end.
Result<> Seal(const Directories& directories, const sys::Fd& directory, const std::string& path, Checkpoint checkpoint);

// kPermission: others than root could have changed it; kCorrupt: it was not signed here, or was changed since.
Result<sys::Fd> OpenCheckpointDirectory(const std::string& path);
Result<Checkpoint> ReadCheckpoint(const Directories& directories, const sys::Fd& directory, const std::string& path);
// The images into `to`, a directory of ours, each compared with its digest on the way: what is there then is what was
// verified, whoever writes to the other. Names the first that differs. kInterrupted: as above.
Result<> CopyImages(const Checkpoint& checkpoint, const sys::Fd& directory, const std::string& path,
                    const std::string& to);

}  // namespace nucleus::cli
