// The tables of docs/file-format.md: every key of the desired-state file, and how a change of it reaches what runs.
// Made from the key table and the field table. Pure.
#pragma once

#include <string>

namespace nucleus::reconcile {

std::string KeyReference();  // Markdown

}  // namespace nucleus::reconcile
