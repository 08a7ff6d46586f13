// How the processes of a container are made again from the images of CRIU, for its supervisor: a file of its directory
// that holds for the first start alone. Made by `nucleus restore`, from what `nucleus checkpoint` has written down.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus {

struct RestoreOrder {
  // What CRIU does not make: a mount of the container's launch, and the name that the images have for it.
  struct External {
    std::string destination, key;
    bool operator==(const External&) const = default;
  };
  std::string images;              // absolute directory, of which nobody but root reads or changes anything
  std::string output, error;       // names of the pipes that lead to the log; "": nobody had it open
  std::vector<External> mounts{};  // in the order of the launch
  bool operator==(const RestoreOrder&) const = default;
};

std::string Encode(const RestoreOrder& order);
Result<RestoreOrder> DecodeRestoreOrder(std::string_view data);  // kCorrupt

inline constexpr std::string_view kRestoreFile = "restore";
// Where the root is built meanwhile.
inline constexpr std::string_view kRestoreStage = "restored";
// Behind that name: where the mounts of it are that CRIU does not make.
inline constexpr std::string_view kRestoreMounts = ".mounts";
// The name that the images have for the network namespace.
inline constexpr std::string_view kNetworkKey = "net";

}  // namespace nucleus
