#include "partition.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

#include "simd.hpp"

// With the parts' sum S and energy fixed, the squared error of showing the group A by its mean a and the rest by theirs
// is energy - |A| a^2 - |B| b^2. So the mask is sought for which |sum A|^2 / |A| + |S - sum A|^2 / |B| is largest.

namespace teleglyph {
namespace {

// What two colours must gain over one, in squared levels over all parts and channels. A smaller gain is invisible.
constexpr float kLeastGain = 60.0F;

template <std::size_t Masks>
struct alignas(32) Lanes {
    float values[Masks];
};

template <unsigned Parts>
struct Counts {
    static constexpr unsigned masks = 1U << (Parts - 1);
    Lanes<masks> inside{};
    Lanes<masks> outside{};
    constexpr Counts() {
        for (unsigned mask = 0; mask < masks; ++mask) {
            const auto count = static_cast<unsigned>(std::popcount(mask));
            inside.values[mask] = count == 0 ? 0.0F : 1.0F / static_cast<float>(count);
            outside.values[mask] = 1.0F / static_cast<float>(Parts - count);
        }
    }
};

template <unsigned Parts>
constexpr Counts<Parts> kCounts{};

// Sums of up to six levels over one to six parts, to the nearest mean. The quotients are multiples of 1/60, so that the
// small addition moves none of them over an integer but those that rounding errors left just below one.
inline Cell mean(float red, float green, float blue, float reciprocal) noexcept {
    const auto half_up = [reciprocal](float sum) {
        return static_cast<Cell>(static_cast<std::int32_t>(sum * reciprocal + 0.5F + 1.0F / 256.0F));
    };
    return kOpaque | half_up(blue) << 16 | half_up(green) << 8 | half_up(red);
}

// The sums over every subset of all parts but the last.
template <unsigned Parts>
__attribute__((always_inline)) inline void add_subsets(const float* parts, float* sums) noexcept {
    sums[0] = 0.0F;
    for (unsigned part = 0; part < Parts - 1; ++part) {
        const unsigned size = 1U << part;
        for (unsigned mask = 0; mask < size; ++mask) sums[size + mask] = sums[mask] + parts[part];
    }
}

template <unsigned Parts>
__attribute__((always_inline)) inline Partition partition(const Cell* parts) noexcept {
    constexpr unsigned masks = 1U << (Parts - 1);
    float channels[3][Parts];
    float totals[3] = {};
    for (unsigned part = 0; part < Parts; ++part) {
        for (unsigned channel = 0; channel < 3; ++channel) {
            const auto value = static_cast<float>(parts[part] >> (8 * channel) & 0xFF);
            channels[channel][part] = value;
            totals[channel] += value;
        }
    }
    Lanes<masks> red, green, blue;
    add_subsets<Parts>(channels[0], red.values);
    add_subsets<Parts>(channels[1], green.values);
    add_subsets<Parts>(channels[2], blue.values);
    const Counts<Parts>& counts = kCounts<Parts>;
    // Positive floats sort like their bits: with the mask in the lowest of them, one maximum finds both. The score
    // loses less than a part in 2^18, which is invisible.
    std::int32_t best = 0;
    for (unsigned mask = 0; mask < masks; ++mask) {
        const float r = red.values[mask], g = green.values[mask], b = blue.values[mask];
        const float rest_r = totals[0] - r, rest_g = totals[1] - g, rest_b = totals[2] - b;
        const float score = (r * r + g * g + b * b) * counts.inside.values[mask] +
                            (rest_r * rest_r + rest_g * rest_g + rest_b * rest_b) * counts.outside.values[mask] +
                            (mask == 0 ? kLeastGain : 0.0F);
        const auto key =
            static_cast<std::int32_t>((std::bit_cast<std::uint32_t>(score) & ~(masks - 1)) | (masks - 1 - mask));
        best = key > best ? key : best;
    }
    const unsigned chosen = masks - 1 - (static_cast<unsigned>(best) & (masks - 1));
    const float r = red.values[chosen], g = green.values[chosen], b = blue.values[chosen];
    const Cell foreground = chosen == 0 ? kTransparent : mean(r, g, b, counts.inside.values[chosen]);
    return {chosen, foreground, mean(totals[0] - r, totals[1] - g, totals[2] - b, counts.outside.values[chosen])};
}

#if TELEGLYPH_HAS_AVX2
TELEGLYPH_AVX2 Partition partition6_avx2(const Cell* parts) noexcept { return partition<6>(parts); }
#endif

}  // namespace

Partition partition4(const Cell* parts) noexcept { return partition<4>(parts); }

Partition partition6(const Cell* parts) noexcept {
#if TELEGLYPH_HAS_AVX2
    if (use_avx2()) return partition6_avx2(parts);
#endif
    return partition<6>(parts);
}

}  // namespace teleglyph
