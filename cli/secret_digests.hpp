// Digests of what secrets hold, so that a secret that changed is a change of its service.
//
// They are in plans and in the store, which more may read than may read the secrets: so they are keyed (HMAC-SHA-256),
// with 32 random bytes in a file of the state directory that only its owner may read (Directories::KeyFile, 0600). Of
// each service, each destination and each machine the same contents have another digest. Whoever has neither the key
// nor the secret can guess nothing from them.
#pragma once

#include "spec/core/names.hpp"
#include "spec/types.hpp"

namespace nucleus::cli {

// Puts them into Service::inputs, as "secrets:DESTINATION". The key is made where there is none, and the state
// directory with it. Of what the caller may not read, the key or a secret, the digest is the one that was applied: it
// counts as not changed.
void AddSecretDigests(const Directories& directories, const spec::Topology& applied, spec::Topology& topology);

}  // namespace nucleus::cli
