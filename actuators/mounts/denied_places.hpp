// Where what may not be given to a container lies, by whatever name it is reached: a bind mount of /etc is /etc, and so
// is the directory of a file system that is mounted there.
//
// Of a thousand mounts it is worth having once for all that is asked. Immutable, so any thread may ask.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/mounts/sources.hpp"
#include "actuators/sys/mountinfo.hpp"
#include "spec/core/names.hpp"

namespace nucleus::mounts {

class DeniedPlaces {
 public:
  static Result<DeniedPlaces> Read(const Directories& directories);  // of the mount namespace of the calling thread
  DeniedPlaces(std::vector<sys::MountEntry> mounts, const Directories& directories);

  // Why a normal path may not be a source, by what it and whatever is mounted below it is, or holds; none: it may. That
  // its own name is not denied was asked before: WhyDenied().
  [[nodiscard]] std::optional<std::string> Why(std::string_view path, bool read_only) const;

  [[nodiscard]] const std::vector<sys::MountEntry>& mounts() const { return mounts_; }

 private:
  // Of a file system, whatever is mounted of it.
  struct Spot {
    std::uint64_t device = 0;
    std::string inside;
  };
  struct Place {
    Spot spot;
    Reach reach = Reach::kTree;
    std::string path;
    std::string_view reason;
  };

  [[nodiscard]] static Spot SpotOf(const sys::MountEntry& mount, std::string_view path);
  void AddNamed(const std::vector<DeniedPath>& denied);
  void AddBelow(const std::vector<DeniedPath>& denied);
  [[nodiscard]] std::optional<std::string> WhyOf(const Spot& spot, bool read_only) const;

  std::vector<sys::MountEntry> mounts_;
  std::vector<Place> places_;
};

}  // namespace nucleus::mounts
