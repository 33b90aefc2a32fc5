/// Calls a closure with each split of an input: whole, byte by byte, and in two parts at every position.
///
/// A parser must give the same events for every split into segments.
public func everySplit<Failure: Error>(
    of bytes: [UInt8],
    _ body: (_ pieces: [[UInt8]], _ how: String) throws(Failure) -> Void
) throws(Failure) {
    try body([bytes], "whole")
    guard bytes.count > 1 else { return }
    try body(bytes.map { [$0] }, "byte by byte")
    for index in 1..<bytes.count {
        try body([Array(bytes[..<index]), Array(bytes[index...])], "split at \(index)")
    }
}
