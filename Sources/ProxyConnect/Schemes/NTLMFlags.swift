/// The NEGOTIATE flags ([MS-NLMP], section 2.2.2.5) that matter to a client that neither signs nor seals.
struct NTLMFlags: OptionSet, Sendable {
    let rawValue: UInt32

    static let unicode = NTLMFlags(rawValue: 0x0000_0001)
    static let oem = NTLMFlags(rawValue: 0x0000_0002)
    static let requestTarget = NTLMFlags(rawValue: 0x0000_0004)
    static let ntlm = NTLMFlags(rawValue: 0x0000_0200)
    static let alwaysSign = NTLMFlags(rawValue: 0x0000_8000)
    static let extendedSessionSecurity = NTLMFlags(rawValue: 0x0008_0000)
    static let targetInfo = NTLMFlags(rawValue: 0x0080_0000)
    static let strong = NTLMFlags(rawValue: 0x2000_0000)
    static let session56 = NTLMFlags(rawValue: 0x8000_0000)

    /// The flags that this client offers.
    static let offered: NTLMFlags = [
        .unicode, .oem, .requestTarget, .ntlm, .alwaysSign, .extendedSessionSecurity, .strong, .session56,
    ]
}
