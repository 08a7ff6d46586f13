// Where the program begins: MapAgain for the commands that have it run from a clone of its file, while there is least
// to be mapped, and the network namespace of a run, which takes as long as the C library's own beginning, then that.
#include <link.h>
#include <cstddef>
#include <cstdint>

#include "actuators/netns/ahead_work.hpp"
#include "actuators/process/map_again.hpp"

#if defined(__x86_64__) && !defined(NUCLEUS_SANITIZED)

namespace {

bool Is(const char* word, const char* other) {
  while (*word != '\0' && *word == *other) ++word, ++other;
  return *word == *other;
}

// Whether a word is one of them that are ours.
template <class... Options>
bool HasAny(const char* const* words, Options... options) {
  for (; *words != nullptr && !Is(*words, "--"); ++words)
    if ((Is(*words, options) || ...)) return true;
  return false;
}

// What is started in the background is of its supervisor's making, and no process of this file's.
bool StaysBehind(const char* const* words) {
  return HasAny(words, "-d", "--detach");
}

// Where it turns out not to be needed it goes with us.
bool MakesNamespace(const char* const* words) {
  return Is(*words, "run") && !HasAny(words, "-h", "--help", "--dry-run");
}

// Who is told by another than the first word is executed again.
bool StaysInFront(const char* const* words) {
  if (*words == nullptr) return false;
  return Is(*words, "exec") || Is(*words, "attach") || (Is(*words, "run") && !StaysBehind(words + 1));
}

bool IsRoot(const std::uintptr_t* auxiliary) {
  for (; auxiliary[0] != AT_NULL; auxiliary += 2)
    if (auxiliary[0] == AT_EUID) return auxiliary[1] == 0;
  return false;
}

}  // namespace

extern "C" [[gnu::used, gnu::visibility("hidden")]] void NucleusBegin(const std::uintptr_t* stack) {
  const auto* words = reinterpret_cast<const char* const*>(stack + 1);
  const std::uintptr_t* after = stack + 1 + stack[0] + 1;  // the environment
  while (*after != 0) ++after;
  if (stack[0] < 2 || !StaysInFront(words + 1) || !IsRoot(after + 1)) return;
  nucleus::process::MapAgain(stack, after + 1);
  if (!MakesNamespace(words + 1)) return;
  const int clone = nucleus::process::ReleaseClone();
  if (clone >= 0) nucleus::netns::NucleusBeginAhead(clone);
}

// The psABI's process initialization: the stack pointer is at argc, rdx is for atexit(3).
asm(R"(
  .text
  .globl nucleus_entry
  .hidden nucleus_entry
  .type nucleus_entry, @function
nucleus_entry:
  .cfi_startproc
  .cfi_undefined rip
  endbr64
  mov %rdx, %rbx
  mov %rsp, %rdi
  call NucleusBegin
  mov %rbx, %rdx
  jmp _start
  .cfi_endproc
  .size nucleus_entry, . - nucleus_entry
)");

#endif
