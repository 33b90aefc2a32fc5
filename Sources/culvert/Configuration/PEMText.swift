/// Repairs PEM that editors and `cat` have damaged. BoringSSL silently skips a block whose first line does not begin
/// with its dashes, so a certificate of a bundle would be missing.
enum PEMText {
    private static let newline = UInt8(ascii: "\n")

    /// The bytes without blanks and byte order marks around each line; DER is not changed.
    static func tidied(_ bytes: [UInt8]) -> [UInt8] {
        guard position(of: "-----BEGIN ", in: bytes[...]) != nil else { return bytes }
        var tidied: [UInt8] = []
        tidied.reserveCapacity(bytes.count)
        // CR alone is the line end of old systems.
        let hasNewlines = bytes.contains(newline)
        for line in bytes.split(
            omittingEmptySubsequences: false,
            whereSeparator: {
                $0 == newline || (!hasNewlines && $0 == UInt8(ascii: "\r"))
            }
        ) {
            tidied += withoutBlanks(line)
            tidied.append(newline)
        }
        return tidied
    }

    /// The number of certificates that begin in the PEM text, even on a damaged line; comments do not count.
    static func certificates(in bytes: [UInt8]) -> Int {
        bytes.split(separator: newline).count { line in
            guard line.first != UInt8(ascii: "#") else { return false }
            return ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains { name in
                position(of: "-----BEGIN \(name)-----", in: line) != nil
            }
        }
    }

    /// A line without blanks and byte order marks at its beginning, and without blanks at its end.
    private static func withoutBlanks(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while true {
            if let first = line.first, isBlank(first) {
                line.removeFirst()
            } else if line.starts(with: [0xEF, 0xBB, 0xBF]) {
                line.removeFirst(3)
            } else {
                break
            }
        }
        while let last = line.last, isBlank(last) { line.removeLast() }
        return line
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }

    private static func position(of words: String, in bytes: ArraySlice<UInt8>) -> Int? {
        let words = Array(words.utf8)
        var start = bytes.startIndex
        while let first = bytes[start...].firstIndex(of: words[0]) {
            if bytes[first...].starts(with: words) { return first }
            start = first + 1
        }
        return nil
    }
}
