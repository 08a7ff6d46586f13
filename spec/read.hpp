// From a document to a topology: every key by its codec, every unknown one refused, every list item remembered with its
// place. What needs more than one resource is in validate.hpp.
#pragma once

#include "spec/reader.hpp"

namespace nucleus::spec {

// Problems go to the reader; what could be read is in the topology nevertheless.
Topology ReadTopology(const Value& document, Reader& reader);
// Its name and its files; of the rest nothing is read.
Topology ReadTopologyName(const Value& document, Reader& reader);
// One service whose keys are in a table, as a topology.
Topology ReadSingle(const Value& table, const std::string& project, const std::string& name, Reader& reader);

}  // namespace nucleus::spec
