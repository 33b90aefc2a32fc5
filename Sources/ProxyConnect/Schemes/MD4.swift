/// MD4 (RFC 1320), with which NTLM hashes passwords ([MS-NLMP], section 3.3.2). The hash is broken and must not be used
/// for anything else.
enum MD4 {
    private static let start: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476]

    /// One of the three rounds: its constant, shifts, word order and function.
    private struct Round {
        let constant: UInt32
        let shifts: [UInt32]
        let order: [Int]
        let mix: @Sendable (UInt32, UInt32, UInt32) -> UInt32
    }

    private static let rounds = [
        Round(
            constant: 0,
            shifts: [3, 7, 11, 19],
            order: Array(0..<16),
            mix: { x, y, z in x & y | ~x & z }
        ),
        Round(
            constant: 0x5A82_7999,
            shifts: [3, 5, 9, 13],
            order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
            mix: { x, y, z in x & y | x & z | y & z }
        ),
        Round(
            constant: 0x6ED9_EBA1,
            shifts: [3, 9, 11, 15],
            order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
            mix: { x, y, z in x ^ y ^ z }
        ),
    ]

    /// Returns the hash, 16 bytes.
    static func hash(_ message: [UInt8]) -> [UInt8] {
        var padded = message + [0x80]
        padded += Array(repeating: 0, count: (120 - padded.count % 64) % 64)
        padded.append(littleEndian: UInt64(message.count) &* 8)
        var state = start
        for block in stride(from: 0, to: padded.count, by: 64) {
            // The length is now a multiple of 64.
            let words = (0..<16).map { word in
                (0..<4).reduce(UInt32(0)) { $0 | UInt32(padded[block + 4 * word + $1]) << (8 * $1) }
            }
            for (index, sum) in zip(state, compress(words, state)).map({ $0 &+ $1 }).enumerated() { state[index] = sum }
        }
        return state.reduce(into: []) { $0.append(littleEndian: $1) }
    }

    private static func compress(_ words: [UInt32], _ state: [UInt32]) -> [UInt32] {
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        for round in rounds {
            for (step, word) in round.order.enumerated() {
                let sum = a &+ round.mix(b, c, d) &+ words[word] &+ round.constant
                let shift = round.shifts[step % 4]
                (a, b, c, d) = (d, sum << shift | sum >> (32 - shift), b, c)
            }
        }
        return [a, b, c, d]
    }
}

extension [UInt8] {
    /// Appends a number in little-endian order.
    mutating func append(littleEndian number: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: number.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }
}
