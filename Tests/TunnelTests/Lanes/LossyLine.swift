/// A line that loses packets at random. Each lane has a congestion window, which grows by a packet in a round trip and
/// shrinks by three tenths with a loss, as CUBIC's does at these rates.
struct LossyLine {
    /// The time of a round trip.
    let roundTrip: Duration
    /// The probability that a packet is lost.
    let loss: Double
    /// Packets of 1,500 bytes that the line carries in a round trip.
    let capacity: Double
    private var windows: [UInt32: (packets: Double, isStarting: Bool)] = [:]
    private var random: SplitMix

    init(roundTrip: Duration, loss: Double, bitsPerSecond: Double, seed: Int) {
        self.roundTrip = roundTrip
        self.loss = loss
        capacity = bitsPerSecond * (roundTrip / .seconds(1)) / 12_000
        random = SplitMix(state: UInt64(seed))
    }

    /// The bytes that each of these lanes delivers in a time.
    mutating func deliver(_ lanes: [UInt32], for time: Duration) -> [UInt32: UInt64] {
        windows = windows.filter { lanes.contains($0.key) }
        var moved: [UInt32: UInt64] = [:]
        for _ in 0..<Int((time / roundTrip).rounded()) {
            let total = lanes.reduce(0) { $0 + (windows[$1]?.packets ?? 10) }
            for lane in lanes {
                var (packets, isStarting) = windows[lane] ?? (10, true)
                moved[lane, default: 0] += UInt64(packets * min(1, capacity / total) * 1_500)
                if total > capacity * 1.5 || random.unit() < 1 - arrival(of: packets) {
                    (packets, isStarting) = (max(2, packets * 0.7), false)
                } else {
                    packets += isStarting ? packets : 1
                }
                windows[lane] = (packets, isStarting)
            }
        }
        return moved
    }

    /// The probability that so many packets arrive.
    private func arrival(of packets: Double) -> Double {
        (0..<Int(packets)).reduce(1) { product, _ in product * (1 - loss) }
    }
}
