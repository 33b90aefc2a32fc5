/// The proxy's CHALLENGE_MESSAGE ([MS-NLMP], section 2.2.1.2), reduced to what the answer needs.
struct NTLMChallenge: Sendable, Equatable {
    /// The first bytes of every NTLM message.
    static let signature = Array("NTLMSSP\0".utf8)
    /// Largest target information, bytes. Directories send less, and the answer still fits into a head.
    static let maximumTargetInfo = 8_192

    /// The complete message, which the integrity code covers.
    let message: [UInt8]
    let flags: NTLMFlags
    /// The challenge, eight bytes.
    let serverChallenge: [UInt8]
    let targetInfo: NTLMTargetInfo

    /// Parses a message; nil if it has another type, is cut short, or contains offsets outside itself (R20).
    init?(_ message: [UInt8]) {
        let reader = LittleEndianReader(message)
        guard message.starts(with: Self.signature), reader.number(at: 8, bytes: 4) == 2,
            let flags = reader.number(at: 20, bytes: 4), let serverChallenge = reader.bytes(at: 24, count: 8)
        else { return nil }
        self.message = message
        self.flags = NTLMFlags(rawValue: UInt32(truncatingIfNeeded: flags))
        self.serverChallenge = serverChallenge
        // Old servers omit the field together with its flag.
        guard self.flags.contains(.targetInfo) else {
            targetInfo = NTLMTargetInfo()
            return
        }
        guard let length = reader.number(at: 40, bytes: 2), length <= Self.maximumTargetInfo,
            let offset = reader.number(at: 44, bytes: 4), let bytes = reader.bytes(at: offset, count: length),
            let info = NTLMTargetInfo(bytes)
        else { return nil }
        targetInfo = info
    }
}
