// libnftables, as its own words: commands in, what it printed out. libnftables(3).
//
// AskNft() is there twice: nft_library.cpp loads the library into the process; nft_program.cpp asks nucleus-nft, which
// does that, for a program that is linked statically can load none (docs/decisions/0005). The second is what links by
// itself; a program that has the first among its sources gets that.
#pragma once

#include <cstdint>
#include <string>

#include "spec/core/error.hpp"

namespace nucleus::netns {

struct NftAnswer {
  enum class Outcome : std::uint8_t { kDone, kRefused, kMissing };
  Outcome outcome = Outcome::kDone;
  std::string text;  // output; the first line of what it said against it; why it cannot be loaded
};

// The exit code of nucleus-nft is this and the outcome: none that the library ends a process with itself.
inline constexpr int kNftExit = 40;

// In the network namespace of the calling thread. An error: nobody could be asked.
Result<NftAnswer> AskNft(const std::string& commands, bool json);

}  // namespace nucleus::netns
