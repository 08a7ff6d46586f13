// The lists that decide what a container may be given, as docs/policies.md has them: made from the code, so that they
// cannot say anything else. Pure.
#pragma once

#include <string>

namespace nucleus::cli {

// Markdown, from "## The lists" to the end of the page.
std::string ListsMarkdown();

}  // namespace nucleus::cli
