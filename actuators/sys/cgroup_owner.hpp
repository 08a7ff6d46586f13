// Whose a control group is. Groups are the machine's, and root may have several runtime directories with containers of
// one name; the tag of a group names the container and the directory (Directories::OwnerTag).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "spec/core/address.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cgroup {

struct Owner {
  enum class Kind : std::uint8_t {
    kOurs,      // of this container; one without a tag is, by its place: a killed apply left it
    kAnothers,  // of the container of that name in another runtime directory
    kStranger,  // of somebody else
  };
  Kind kind = Kind::kOurs;
  std::string runtime = {};  // of another's
};
// tag: none where the group has none. One without a directory is of root's usual one, if such a container is known
// there, or else ours, from before the directory was written down.
Owner OwnerOf(const std::optional<std::string>& tag, std::string_view project, const Address& address,
              const Directories& directories);

// Whether somebody starts, supervises or removes the container in that runtime directory: has its project's lock or its
// own. The group may be empty meanwhile: between two runs, say.
bool IsAtWork(const std::string& runtime, std::string_view project, const Address& address);

}  // namespace nucleus::cgroup
