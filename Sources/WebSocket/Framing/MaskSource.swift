/// Where a client's masking keys come from: 32 fresh bits for every frame.
///
/// A key must not be foreseeable by whoever wrote the payload (RFC 6455 sections 5.3 and 10.3): otherwise a page or a
/// visitor could choose what a proxy on the way sees, and poison its cache. So the keys are the system's own random
/// numbers. Each of those is one system call of about 250 ns, and brings 64 bits: two keys are made of it. Fetching
/// more at a time would not save a call, only keep keys in memory for each connection.
public struct MaskSource: Sendable {
    private var generator: any RandomNumberGenerator & Sendable
    private var spare: UInt32?

    /// Keys from the system's secure source.
    public init() {
        generator = SystemRandomNumberGenerator()
    }

    /// Keys from another generator: for tests, or for a secure source of the caller's own. A generator that can be
    /// foreseen takes the protection away.
    public init(generator: some RandomNumberGenerator & Sendable) {
        self.generator = generator
    }

    /// The next key; its lowest byte goes first on the wire.
    mutating func next() -> UInt32 {
        if let key = spare {
            spare = nil
            return key
        }
        let bits = generator.next()
        spare = UInt32(truncatingIfNeeded: bits >> 32)
        return UInt32(truncatingIfNeeded: bits)
    }
}
