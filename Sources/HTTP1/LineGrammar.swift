/// The grammar of one kind of line, checked byte by byte, so that the first illegal byte is refused on arrival.
protocol LineGrammar: Sendable {
    /// The error for a line of this kind that exceeds its limit.
    static var tooLong: HTTP1Error.Kind { get }
    /// Processes the next byte of the line, never CR or LF.
    ///
    /// - Throws: ``HTTP1Error`` if the byte is illegal here.
    mutating func accept(_ byte: UInt8) throws(HTTP1Error)
    /// Checks that the line may end here. An empty line passes; the parser decides about it.
    func end() throws(HTTP1Error)
}
