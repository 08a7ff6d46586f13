// Any bytes as what is kept of a context, with the digest that they need: what is accepted leads nowhere outside it,
// and stays as it is once written.
#include <cstdlib>

#include "context/left_out_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus;
  using namespace nucleus::context;
  const Digest key;
  std::string file = EncodeFolders(key, {});
  constexpr std::size_t kAfterKey = 32 + 4;  // how many there are, and the digest
  file.resize(file.size() - kAfterKey);
  file.append(reinterpret_cast<const char*>(data), size);
  const Digest digest = Sha256::Of(file);
  file.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  const auto tree = DecodeFolders(key, file);
  if (!tree) return 0;
  for (const auto& [path, folder] : *tree) {
    for (const auto* names : {&folder.left_out, &folder.folders}) {
      for (const auto& name : *names) {
        if (name.find('/') != std::string::npos || name == "..") std::abort();
      }
    }
  }
  const auto again = DecodeFolders(key, EncodeFolders(key, *tree));
  if (!again || *again != *tree) std::abort();
  return 0;
}
