// Whether two resources mean the same, without writing them out: the common case of a plan, and the fastest. Pure.
#pragma once

#include "spec/types.hpp"

namespace nucleus::reconcile {

// True: their canonical fields are equal. False: they may be.
bool SameMeaning(const spec::Network& a, const spec::Network& b);
bool SameMeaning(const spec::Volume& a, const spec::Volume& b);
bool SameMeaning(const spec::Service& a, const spec::Service& b);

}  // namespace nucleus::reconcile
