// syscall(2) without errno, which is a thread's: for code that runs where there is no thread of its own.
#pragma once

#include <cstdint>

namespace nucleus::sys {

// A negative number is the error.
[[gnu::always_inline]] inline long RawCall(long number, std::uintptr_t a = 0, std::uintptr_t b = 0,
                                           std::uintptr_t c = 0, std::uintptr_t d = 0, std::uintptr_t e = 0,
                                           std::uintptr_t f = 0) {
#if defined(__x86_64__)
  long result = number;
  register std::uintptr_t r10 asm("r10") = d;
  register std::uintptr_t r8 asm("r8") = e;
  register std::uintptr_t r9 asm("r9") = f;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register std::uintptr_t x0 asm("x0") = a;
  register std::uintptr_t x1 asm("x1") = b;
  register std::uintptr_t x2 asm("x2") = c;
  register std::uintptr_t x3 asm("x3") = d;
  register std::uintptr_t x4 asm("x4") = e;
  register std::uintptr_t x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return static_cast<long>(x0);
#else
#error "how a system call is made here"
#endif
}

}  // namespace nucleus::sys
