import ByteText

/// The user and the password in a field `Authorization: Basic …` (RFC 7617).
struct BasicCredentials {
    let user: String
    let password: [UInt8]

    /// Reads the value of a field; nil for another scheme, for malformed base64, and for what cannot be a password.
    ///
    /// The encoding is strict: one text for the same bytes, padded, in UTF-8.
    init?(_ field: String) {
        let longest = (VisitorPassword.longestLine + 1 + VisitorPassword.longestPassword + 2) / 3 * 4
        let parts = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].lowercased() == "basic" else { return nil }
        let text = parts[1].drop { $0 == " " }
        guard text.utf8.count <= longest, let bytes = Base64.decoded(String(text), .canonical),
            VisitorPassword.isPlain(bytes), let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
            let user = String(validating: bytes[..<colon], as: UTF8.self)
        else { return nil }
        let password = Array(bytes[(colon + 1)...])
        guard !user.isEmpty, password.count <= VisitorPassword.longestPassword else { return nil }
        (self.user, self.password) = (user, password)
    }
}
