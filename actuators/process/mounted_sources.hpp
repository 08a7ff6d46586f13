// Which files and directories of the machine are mounted in a container: those over its /etc/hosts, /etc/resolv.conf
// and /etc/hostname, and its volumes. Where another one has come to stand at the place of one, the container goes on
// with the first, whatever is written into the second. They are told apart by their numbers, inode(7). Stateless; reads
// only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "state/parts/launch.hpp"

namespace nucleus::process {

// What a container is given, as it is now: a name file of its service's directory, or what stands for a path, and a
// number each, "hosts 12 9f86d081884c7d65 2049:14". For the status of its start.
std::string MountedSourcesOf(const Launch& launch, const std::string& directory);

// The names of name files, and of volumes (name -> path), that are not the same any more. Of text that makes no sense:
// none.
std::vector<std::string> ReplacedNameFiles(std::string_view text, const std::string& directory);
std::vector<std::string> ReplacedVolumes(std::string_view text, const std::map<std::string, std::string>& volumes);

}  // namespace nucleus::process
