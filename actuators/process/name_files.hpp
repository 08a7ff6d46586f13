// Which files are mounted over a container's /etc/hosts, /etc/resolv.conf and /etc/hostname. They are rewritten in
// place; where another file has come to stand at the place of one, the container goes on reading the first, whatever is
// written into the second. Files are told apart by their inode numbers, inode(7). Stateless; reads only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "state/parts/launch.hpp"

namespace nucleus::process {

// Those in a service's directory that a container is given, as they are now: "hosts 12 hostname 14". For the status
// of its start.
std::string NameFilesOf(const Launch& launch, const std::string& directory);

// The names of those that are not the same any more. Of text that makes no sense: none.
std::vector<std::string> ReplacedNameFiles(std::string_view text, const std::string& directory);

}  // namespace nucleus::process
