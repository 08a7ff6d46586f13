// Text of others (an image, a workload, a file, a process name) made fit for a terminal and for one line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nucleus {

// Bytes of the well-formed UTF-8 sequence that `text` begins with (no surrogates, nothing beyond U+10FFFF); 0: none.
std::size_t Utf8Length(std::string_view text);

// What is no text is written as \xNN, byte by byte: control characters, those of ISO 6429's upper half (U+0080 to
// U+009F) included, the marks that turn the direction of writing round, and bytes that are no UTF-8. kept: control
// characters that stay.
std::string Printable(std::string_view text, std::string_view kept = "");

// A string of JSON, in quotes; of UTF-8, text that is none stays as it is.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace nucleus
