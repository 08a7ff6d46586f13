// Who has the data of which directory, so that those of one volume do not go with another.
//
// By the text of their paths: what a link or a mount makes of them is not known here. Linear in what is added,
// logarithmic to ask.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace nucleus::reconcile {

class DataKeepers {
 public:
  void Add(std::string_view path, std::string_view owner);  // of several of one path the first is named

  // Who has this directory, one above it or one below it; "" for nobody.
  [[nodiscard]] std::string Of(std::string_view path) const;

 private:
  std::map<std::string, std::string, std::less<>> owners_;
};

}  // namespace nucleus::reconcile
