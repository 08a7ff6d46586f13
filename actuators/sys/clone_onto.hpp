// clone3(2) whose child runs on another stack, as who shares the memory of its parent has to: a thread, or a process
// until it executes something. Header only; may be called before the C library is up.
#pragma once

#include <linux/sched.h>
#include <sys/syscall.h>

namespace nucleus::sys {

#if defined(__x86_64__) && !defined(NUCLEUS_SANITIZED)

inline constexpr bool kCanCloneOnto = true;

// arguments: with CLONE_VM and a stack. run: what the child does; where it comes back the child ends. A negative number
// is the error.
[[gnu::always_inline]] inline long CloneOnto(const clone_args& arguments, void (*run)(void*), void* argument) {
  long result = SYS_clone3;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %[argument], %%rdi\n\t"
      "mov %[run], %%rax\n\t"
      "xor %%ebp, %%ebp\n\t"
      "call *%%rax\n\t"
      "xor %%edi, %%edi\n\t"
      "mov %[exit], %%eax\n\t"
      "syscall\n\t"
      "ud2\n\t"
      "1:"
      : "+a"(result)
      : "D"(&arguments), "S"(sizeof arguments), [run] "r"(run), [argument] "r"(argument), [exit] "i"(SYS_exit)
      : "rcx", "r11", "memory");
  return result;
}

#else

inline constexpr bool kCanCloneOnto = false;

inline long CloneOnto(const clone_args& /*arguments*/, void (* /*run*/)(void*), void* /*argument*/) {
  return -1;  // EPERM
}

#endif

}  // namespace nucleus::sys
