#include "actuators/sys/own_programs.hpp"

#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace nucleus::sys {

namespace {

// Not a string: it is written before constructors run.
char own_place[PATH_MAX];

// The directory; "" for a clone of a file, which has none.
std::string_view ReadPlace(char* path, std::size_t room) {
  const ssize_t size = ::readlink("/proc/self/exe", path, room);
  const std::string_view self(path, size < 0 ? 0 : static_cast<std::size_t>(size));
  return self.size() <= 1 || self.front() != '/' ? std::string_view() : self.substr(0, self.rfind('/') + 1);
}

}  // namespace

char* RoomForOwnPlace() {
  return own_place;
}

void RememberOwnPlace() {
  const auto place = ReadPlace(own_place, sizeof own_place - 1);
  own_place[place.size()] = '\0';
}

std::string_view OwnPlace() {
  return own_place;
}

Result<std::string> ProgramOfOurs(std::string_view name) {
  std::string room(PATH_MAX, '\0');
  std::string directory(OwnPlace());
  if (directory.empty()) directory = ReadPlace(room.data(), room.size());
  if (const char* told = ::getenv(kPlaceVariable); directory.empty() && told != nullptr) directory = told;
  if (directory.empty()) return Fail(ErrorCode::kNotFound, "find", name, "where nucleus itself lies is not known");
  for (const char* place : {"", "../libexec/nucleus/"}) {
    std::string path = directory + place + std::string(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Fail(ErrorCode::kNotFound, "find", name, "it is not beside nucleus");
}

}  // namespace nucleus::sys
