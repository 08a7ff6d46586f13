// The policy table as the document has it.
#pragma once

#include <string>

namespace nucleus::security {

// Two Markdown tables: calls by what becomes of them, and the conditions on arguments. A test compares docs/security.md
// with it, so that the document cannot say anything else than the filter does.
std::string PolicyDocument();

}  // namespace nucleus::security
