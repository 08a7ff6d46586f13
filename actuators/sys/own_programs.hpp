// The programs that belong to the one that is running.
#pragma once

#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus::sys {

// Where this program lies, while its link still says so: that of a clone of its file says nothing. Kept in memory, and
// in a variable of the environment for what is executed from a clone. First of all, by one thread.
inline constexpr const char* kPlaceVariable = "NUCLEUS_PLACE";
void RememberOwnPlace();
// PATH_MAX bytes, zero: where it is kept, for who knows it before there is a C library.
char* RoomForOwnPlace();
// The directory that was remembered; "": none was.
std::string_view OwnPlace();

// Beside this program, else ../libexec/nucleus/NAME. kNotFound.
Result<std::string> ProgramOfOurs(std::string_view name);

}  // namespace nucleus::sys
