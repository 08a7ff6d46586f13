#include "actuators/sys/landlock.hpp"

#include <array>

namespace nucleus::sys {

namespace {

constexpr std::uint64_t kIoctlDev = 1U << 15;  // later than <linux/landlock.h> of Debian 12

struct Right {
  std::string_view word;
  std::uint64_t access;
};
constexpr std::array kRights{
    Right{"read", LANDLOCK_ACCESS_FS_READ_FILE},
    Right{"readdir", LANDLOCK_ACCESS_FS_READ_DIR},
    Right{"write", LANDLOCK_ACCESS_FS_WRITE_FILE},
    Right{"execute", LANDLOCK_ACCESS_FS_EXECUTE},
    Right{"create", LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                        LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM},
    Right{"devices", LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK},
    Right{"remove", LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE},
    Right{"refer", LANDLOCK_ACCESS_FS_REFER},
    Right{"truncate", kLandlockTruncate},
    Right{"ioctl", kIoctlDev},
};

}  // namespace

std::vector<std::string> LandlockWords(std::uint64_t access) {
  std::vector<std::string> words;
  for (const Right& right : kRights) {
    if ((access & right.access) == right.access) words.emplace_back(right.word);
  }
  return words;
}

std::string LandlockAllowsNothing(std::string_view where, std::uint64_t access) {
  std::string words;
  for (const auto& word : LandlockWords(access)) words += (words.empty() ? "" : ", ") + word;
  return std::string(where) + " it is no directory" + (words == "ioctl" ? " and no device" : "") + ", and " + words +
         " would allow nothing there";
}

}  // namespace nucleus::sys
