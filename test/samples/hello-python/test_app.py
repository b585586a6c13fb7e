import unittest

from app import greet


class GreetTest(unittest.TestCase):
    def test_name(self):
        self.assertEqual(greet(" Ada "), "Hello, Ada!")

    def test_no_name(self):
        self.assertEqual(greet(), "Hello, world!")


if __name__ == "__main__":
    unittest.main()
