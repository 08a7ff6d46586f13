// What a supervisor has done once it has ended for good: for containers that are removed then. A file in the service
// directory with the words of a command, each ended by a NUL, to which the supervisor adds the container's id: whoever
// has come to be called the same meanwhile is not meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::process {

inline constexpr std::string_view kAtEndFile = "at-end";

// Makes the directory where it is missing.
Result<> WriteAtEnd(const std::string& directory, const std::vector<std::string>& command);

// Whether somebody carries it out at this moment.
[[nodiscard]] bool IsCarriedOut(const std::string& directory);

// There is none, also where one was left that was never carried out.
Result<> ForgetAtEnd(const std::string& directory);

// Executes it in a process of its own, which nobody waits for, once nobody has the project's lock: whoever has just
// started the container is not in its way. Without the file, nothing. The caller ends next.
void ExecuteAtEnd(const std::string& directory, const std::string& id);

}  // namespace nucleus::process
