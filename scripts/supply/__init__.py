"""What Anima is built from: locks, licences, the bill of materials and known vulnerabilities."""
