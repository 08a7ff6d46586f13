// What is passed on between two descriptors, a piece at a time.
#pragma once

#include <cstddef>
#include <string>

namespace nucleus::process {

// Writable means that so much can be written without waiting; pipe(7), PIPE_BUF.
inline constexpr std::size_t kPiece = 4096;
// For a reader that does not read: what it has not taken by then is lost.
inline constexpr int kDrainPatienceMs = 2'000;

// At most `most`, and a piece. False: there is no more to come.
bool ReadPiece(int fd, std::string& into, std::size_t most = kPiece);
// What was written is taken from it; all, where nobody will ever read it: false.
bool WritePiece(int fd, std::string& from);
// All of it. False where the patience has come to its end.
bool WriteOut(int fd, std::string& from);

}  // namespace nucleus::process
