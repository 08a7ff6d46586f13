// Digests of what secrets hold, so that a secret that changed is a change of its service.
//
// They are in plans and in the store, which more may read than may read the secrets: so they are keyed (HMAC-SHA-256),
// with 32 random bytes in a file of the state directory that only its owner may read (Directories::KeyFile, 0600). Of
// each service, each destination and each machine the same contents have another digest. Whoever has neither the key
// nor the secret can guess nothing from them. The first 8 bytes of each say which key it was made with.
#pragma once

#include <string>

#include "spec/core/names.hpp"
#include "spec/types.hpp"

namespace nucleus::cli {

// Puts them into Service::inputs, as "secrets:DESTINATION" and "systemd_credentials:DESTINATION". The key is made where
// there is none, and the state directory with it. Of what the caller may not read, the key, a secret, or a credential
// that the calling unit has not, the digest is the one that was applied: it counts as not changed.
// A sentence for people where that, or a key that is another one than when it was applied, decides about secrets.
std::string AddSecretDigests(const Directories& directories, const spec::Topology& applied, spec::Topology& topology);

}  // namespace nucleus::cli
