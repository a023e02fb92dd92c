#pragma once
#include "tfm.h"

// SHA-256 of units, each with its salt, four at a time: what sha256_ni_supported() has said yes to.

// Whether the units are of a shape that this takes: not shorter than a block, the salt not longer than dm-verity's.
bool sha256_units_take(const Units& units);
// As Op::run_units.
void sha256_units(const Units& units, int32_t* results);
