import TestSupport

/// A line that loses packets at random, and those that its queue of half a round trip cannot take. Each lane has the
/// congestion window of CUBIC: a packet more in a round trip at least, and three tenths less after a loss.
struct LossyLine {
    private struct Window {
        var packets = 10.0
        var isStarting = true
        /// The packets at the last loss, and the seconds since.
        var peak = 0.0
        var seconds = 0.0

        mutating func grow(_ roundTrip: Double) {
            guard !isStarting else { return packets *= 2 }
            seconds += roundTrip
            let distance = seconds - LossyLine.cubeRoot(peak * 0.3 / 0.4)
            packets += max(1, min(packets / 2, peak + 0.4 * distance * distance * distance - packets))
        }

        mutating func shrink() {
            self = Window(packets: max(2, packets * 0.7), isStarting: false, peak: packets)
        }
    }

    /// The time of a round trip.
    let roundTrip: Duration
    /// The probability that a packet is lost.
    let loss: Double
    /// Packets of 1,500 bytes that the line carries in a round trip.
    let capacity: Double
    private var windows: [UInt32: Window] = [:]
    private var random: SplitMix64

    init(roundTrip: Duration, loss: Double, bitsPerSecond: Double, seed: Int) {
        self.roundTrip = roundTrip
        self.loss = loss
        capacity = bitsPerSecond * (roundTrip / .seconds(1)) / 12_000
        random = SplitMix64(state: UInt64(seed))
    }

    /// The bytes that each of these lanes delivers in a time.
    mutating func deliver(_ lanes: [UInt32], for time: Duration) -> [UInt32: UInt64] {
        windows = windows.filter { lanes.contains($0.key) }
        var moved: [UInt32: UInt64] = [:]
        for _ in 0..<Int((time / roundTrip).rounded()) {
            let total = lanes.reduce(0) { $0 + (windows[$1] ?? Window()).packets }
            for lane in lanes {
                var window = windows[lane] ?? Window()
                moved[lane, default: 0] += UInt64(window.packets * min(1, capacity / total) * 1_500)
                if total > capacity * 1.5 || random.unit() < 1 - arrival(of: window.packets) {
                    window.shrink()
                } else {
                    window.grow(roundTrip / .seconds(1))
                }
                windows[lane] = window
            }
        }
        return moved
    }

    /// The probability that so many packets arrive.
    private func arrival(of packets: Double) -> Double {
        (0..<Int(packets)).reduce(1) { product, _ in product * (1 - loss) }
    }

    private static func cubeRoot(_ number: Double) -> Double {
        (0..<30).reduce(max(1, number / 10)) { root, _ in (2 * root + number / (root * root)) / 3 }
    }
}
