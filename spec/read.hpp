// From a document to a topology: every key by its codec, every unknown one refused. No checks across keys or resources:
// those are in validate.hpp.
#pragma once

#include "spec/reader.hpp"
#include "spec/types.hpp"
#include "spec/value.hpp"

namespace nucleus::spec {

enum class Origin {
  kFile,       // written by a person
  kCanonical,  // our own JSON: contents digests are in it, and nothing outside is looked at
};

Topology ReadTopology(const Value& document, Reader& reader, Origin origin);
void ReadNetwork(const Value& table, Reader& reader, Origin origin, Network& network);
void ReadVolume(const Value& table, Reader& reader, Origin origin, Volume& volume);
void ReadService(const Value& table, Reader& reader, Origin origin, Service& service);

// Merges env files into the environment and takes the digests of what the service's keys point at. Uses the outside.
// Files that several services name are read once: `seen` keeps what they said.
struct Contents {
  std::map<std::string, std::optional<Digest>> digests;                          // path -> digest of a small file
  std::map<std::string, std::optional<std::map<std::string, std::string>>> env;  // path -> variables
};
void ReadContents(Service& service, Reader& reader, Contents& seen);

}  // namespace nucleus::spec
