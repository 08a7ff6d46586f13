// Functions of a library that is loaded where it is needed; dlopen(3). Header only: programs that are linked statically
// cannot have it.
#pragma once

#include <dlfcn.h>

#include <string>

namespace nucleus::sys {

// It stays until the process ends. Null: why says what is missing.
inline void* LoadLibrary(const char* name, std::string& why) {
  void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library != nullptr) return library;
  const char* error = ::dlerror();
  why = error == nullptr ? "not found" : error;
  return nullptr;
}

template <class Function>
bool Resolve(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace nucleus::sys
